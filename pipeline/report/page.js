"use strict";
(() => {
  const theme = JSON.parse(document.getElementById("theme").textContent);
  const drawn = [];
  const styled = (width) => {
    const copy = structuredClone(theme);
    copy.axisY.labelLimit = width < 480 ? 110 : 240;
    copy.legend.columns = width < 480 ? 2 : 4;
    return copy;
  };
  for (const data of document.querySelectorAll("script[data-chart]")) {
    const place = document.getElementById(data.dataset.chart);
    const config = styled(place.clientWidth);
    const options = {
      mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false, config,
      tooltip: { disableDefaultStyle: true },
    };
    drawn.push(vegaEmbed(place, JSON.parse(data.textContent), options));
  }
  Promise.all(drawn).then(
    () => { document.documentElement.dataset.charts = String(drawn.length); },
    (error) => { console.error(error); },
  );
})();
