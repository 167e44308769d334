"""Files that are no table, no CSV or no plain file, and folders in disorder."""

import gzip
import os
import sqlite3
from pathlib import Path

from tests.door.models import Case, Touch, at, bytes_of, content, full, refused_file

UTF8 = "UTF-8 (save the file again as CSV UTF-8)"


def swap(name: str, old: str, new: str) -> Touch:
    """Replace text in a file, once, as bytes."""

    def change(data: bytes) -> bytes:
        assert old.encode() in data
        return data.replace(old.encode(), new.encode(), 1)

    return bytes_of(name, change)


def everywhere(name: str, old: str, new: str) -> Touch:
    return bytes_of(name, lambda data: data.replace(old.encode(), new.encode()))


def recoded(name: str, encoding: str) -> Touch:
    return bytes_of(name, lambda data: data.replace(b"Web", "W\u00e9b".encode()).decode().encode(encoding))


def moved(old: str, new: str) -> Touch:
    def touch(folder: Path) -> None:
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        (folder / old).rename(folder / new)

    return touch


def removed(name: str) -> Touch:
    return lambda folder: (folder / name).unlink()


def fifo(name: str) -> Touch:
    def touch(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(folder / name)

    return touch


def linked(name: str, target: str) -> Touch:
    def touch(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)

    return touch


def made_folder(name: str) -> Touch:
    def touch(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir(parents=True)

    return touch


def compressed(name: str) -> Touch:
    return lambda folder: (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))


def database(folder: Path) -> None:
    (folder / "jobs.csv").unlink()
    made = sqlite3.connect(folder / "jobs.csv")
    made.execute("create table jobs (job_id text)")
    made.commit()
    made.close()


NAMES = [
    refused_file("a misspelt table", content("server.csv", "server_id\n"), at("servers", None, None, None, "a table of the model (did you mean servers.csv?)")),
    refused_file("a misspelt Parquet table", content("ocurrences.parquet", ""), at("occurrences", None, None, None, "did you mean occurrences.parquet?")),
    refused_file("a table in upper case", moved("servers.csv", "SERVERS.csv"), at("servers", None, None, None, "did you mean servers.csv?")),
    refused_file("a file like no table", content("zzz.csv", ""), at("zzz.csv", None, None, None, "a table of the model, as NAME.csv or NAME.parquet")),
    refused_file("a workbook", content("servers.xlsx", "PK"), at("servers", None, None, None, "servers.csv or servers.parquet")),
    refused_file("a compressed table", compressed("jobs.csv"), at("jobs", None, None, None, "jobs.csv or jobs.parquet")),
    refused_file("an ending in capitals", moved("jobs.csv", "jobs.CSV"), at("jobs", None, None, None, "jobs.csv or jobs.parquet")),
    refused_file("a table without an ending", moved("jobs.csv", "jobs"), at("jobs", None, None, None, "jobs.csv or jobs.parquet")),
    refused_file("a backup of an editor", content("servers.csv~", ""), at("servers", None, None, None, "servers.csv or servers.parquet")),
    refused_file("a copy of a table", content("servers (1).csv", ""), at("servers", None, None, None, "did you mean servers.csv?")),
    refused_file("an output table among the inputs", content("need.job.csv", ""), at("need.job.csv", None, None, None, "a table of the model")),
    refused_file("a file with a line break in its name", content("ser\nvers.csv", ""), at("servers", None, None, None, "did you mean servers.csv?")),
    refused_file("a file that draws on the terminal", content("\x1b[31mred.csv", ""), at("\x1b[31mred.csv", None, None, None, "a table of the model")),
    refused_file("a table as CSV and as Parquet", content("jobs.parquet", ""), at("jobs", None, None, None, "only one of jobs.csv and jobs.parquet")),
    refused_file("a table as a file and as a folder", content("jobs/a.csv", "job_id\n"), at("jobs", None, None, None, "only one of jobs and jobs.csv"),
                 *[at("jobs", None, c, None, "a column of this name: ") for c in ("request_duration", "compute_needed", "ram_needed")]),
    refused_file("a folder like no table", made_folder("results"), at("results", None, None, None, "a table of the model")),
]  # fmt: skip

FOLDERS = [
    refused_file("an empty folder for a table", [removed("occurrences.csv"), made_folder("occurrences")], at("occurrences", None, None, None, "files of the table in the folder")),
    refused_file("a folder with hidden files only", [moved("occurrences.csv", "occurrences/.part.csv")], at("occurrences", None, None, None, "files of the table in the folder")),
    refused_file("a folder with a foreign file", [moved("occurrences.csv", "occurrences/a.csv"), content("occurrences/notes.txt", "")],
                 at("occurrences", None, None, None, "only .csv or .parquet files in the folder")),
    refused_file("a folder of both formats", [moved("occurrences.csv", "occurrences/a.csv"), content("occurrences/b.parquet", "")],
                 at("occurrences", None, None, None, "only CSV or only Parquet files in one folder")),
    refused_file("a folder named as a CSV file with Parquet in it", [removed("occurrences.csv"), content("occurrences.csv/a.parquet", "")],
                 at("occurrences", None, None, None, "only .csv files in the folder")),
    refused_file("a folder with a FIFO", [moved("occurrences.csv", "occurrences/a.csv"), fifo("occurrences/b.csv")], at("occurrences", None, None, None, "a regular file")),
    refused_file("a folder with a link to a folder", [moved("occurrences.csv", "occurrences/a.csv"), linked("occurrences/b.csv", "..")], at("occurrences", None, None, None, "a regular file")),
    refused_file("one file of a folder without a column", [moved("occurrences.csv", "occurrences/a.csv"), content("occurrences/b.csv", "job_id,usage_pattern_id,container_id,hour\n")],
                 at("occurrences", None, "occurrences", None, "a column of this name: Invocations started in that hour")),
    refused_file("a key in two files of a folder", [moved("occurrences.csv", "occurrences/a.csv"),
                 content("occurrences/b.csv", "hour,occurrences,container_id,usage_pattern_id,job_id\n2026-01-01 00:00,1,browse,office,read\n")],
                 at("occurrences", 1, "job_id, usage_pattern_id, container_id, hour", "read, office, browse, 2026-01-01 00:00", "it stands in 2 rows")),
    refused_file("a bad row in the second file of a folder", [moved("occurrences.csv", "occurrences/a.csv"),
                 content("occurrences/b.csv", "hour,occurrences,container_id,usage_pattern_id,job_id\n2026-01-02 00:00,1,browse,office,read\n2026-01-02 00:30,1,browse,office,read\n")],
                 at("occurrences", 2, "hour", "2026-01-02 00:30", "a full hour in UTC")),
]  # fmt: skip

NO_PLAIN_FILES = [
    refused_file("a FIFO for a table", fifo("jobs.csv"), at("jobs", None, None, None, "a regular file")),
    refused_file("a FIFO for a Parquet table", [removed("jobs.csv"), fifo("jobs.parquet")], at("jobs", None, None, None, "a regular file")),
    refused_file("a device for a table", linked("jobs.csv", "/dev/zero"), at("jobs", None, None, None, "a regular file")),
    refused_file("a link that leads nowhere", linked("jobs.csv", "gone.csv"), at("jobs", None, None, None, "a regular file")),
    refused_file("a loop of links", [linked("jobs.csv", "loop.md"), linked("loop.md", "jobs.csv")], at("jobs", None, None, None, "a regular file")),
    refused_file("a directory named as a Parquet file", [removed("jobs.csv"), made_folder("jobs.parquet")], at("jobs", None, None, None, "files of the table in the folder")),
    refused_file("a directory named as a CSV file", [made_folder("jobs.csv")], at("jobs", None, None, None, "files of the table in the folder")),
]  # fmt: skip

ENCODINGS = [
    refused_file("a CSV in Latin-1", recoded("servers.csv", "latin-1"), at("servers", 1, None, None, UTF8)),
    refused_file("a CSV in Windows-1252", recoded("servers.csv", "cp1252"), at("servers", 1, None, None, UTF8)),
    refused_file("a CSV in UTF-16 with a mark", recoded("servers.csv", "utf-16"), at("servers", None, None, None, "UTF-8, not UTF-16")),
    refused_file("a CSV in UTF-16 without a mark", recoded("servers.csv", "utf-16-le"), at("servers", None, None, None, "UTF-8, not UTF-16")),
    refused_file("a CSV in big-endian UTF-16", recoded("servers.csv", "utf-16-be"), at("servers", None, None, None, "UTF-8, not UTF-16")),
    refused_file("a CSV in UTF-32", recoded("servers.csv", "utf-32"), at("servers", None, None, None, "UTF-8, not UTF-16")),
    refused_file("a CSV with half a character", bytes_of("jobs.csv", lambda d: d.replace(b"Write", b"Wr\xc3")), at("jobs", 2, None, None, UTF8)),
    refused_file("a CSV with a surrogate", bytes_of("jobs.csv", lambda d: d.replace(b"Write", b"\xed\xa0\x80")), at("jobs", 2, None, None, UTF8)),
    refused_file("a header in Latin-1", bytes_of("jobs.csv", lambda d: d.replace(b"name", b"nam\xe9")),
                 at("jobs", None, "nam\ufffd", None, "did you mean name?"), at("jobs", None, None, None, UTF8)),
]  # fmt: skip

SHAPES = [
    refused_file("an empty file", content("occurrences.csv", ""), at("occurrences", None, None, None, "a header line with the names of the columns")),
    refused_file("a file of blank lines", content("occurrences.csv", "\n \n\n"), at("occurrences", None, None, None, "a header line with the names of the columns")),
    refused_file("a file of a mark only", content("occurrences.csv", "\ufeff"), at("occurrences", None, None, None, "a header line with the names of the columns")),
    refused_file("a blank first line", bytes_of("jobs.csv", lambda d: b"\n" + d), at("jobs", None, None, None, "the names of the columns in the first line, which is blank")),
    refused_file("a header of commas", bytes_of("jobs.csv", lambda d: b",,,\n" + d), at("jobs", None, None, None, "the names of the columns in the first line, which is blank")),
    refused_file("semicolons", everywhere("services.csv", ",", ";"), at("services", None, None, "service_id;name;server_id;base_ram_consumption;base_compute_consumption", "columns separated by commas, not semicolons")),
    refused_file("tabs", everywhere("services.csv", ",", "\t"), at("services", None, None, "service_id\tname\tserver_id\tbase_ram_consumption\tbase_compute_consumption", "not tabs")),
    refused_file("bars", everywhere("services.csv", ",", "|"), at("services", None, None, "service_id|name|server_id|base_ram_consumption|base_compute_consumption", "not bars")),
    refused_file("lines that end in CR alone", everywhere("jobs.csv", "\n", "\r"), at("jobs", None, None, None, "lines that end in LF or CRLF, not in CR alone")),
    refused_file("one line that ends in CR alone", swap("jobs.csv", "\nwrite", "\rwrite"), at("jobs", 1, None, None, "lines that end in LF or CRLF, not in CR alone")),
    refused_file("a line with too few cells", swap("jobs.csv", "write,Write,", "write,"), at("jobs", 2, None, "8 cells", "9 cells, as many as the header has")),
    refused_file("a line with too many cells", swap("jobs.csv", "write,", "write,,"), at("jobs", 2, None, "10 cells", "9 cells, as many as the header has")),
    refused_file("a line with one cell", bytes_of("jobs.csv", lambda d: d + b"total\n"), at("jobs", 3, None, "1 cell", "9 cells")),
    refused_file("a line of spaces", bytes_of("jobs.csv", lambda d: d + b"   \n"), at("jobs", 3, None, "1 cell", "9 cells")),
    refused_file("a comma at the end of every line but the header", bytes_of("jobs.csv", lambda d: d.replace(b"\n", b",\n").replace(b"ram_needed,\n", b"ram_needed\n")),
                 at("jobs", 1, None, "10 cells", "9 cells")),
    refused_file("a comma at the end of the header only", swap("jobs.csv", "ram_needed\n", "ram_needed,\n"),
                 at("jobs", None, None, None, "cell 10 is blank"), at("jobs", 1, None, "9 cells", "10 cells")),
    refused_file("a quote that is never closed", swap("jobs.csv", "write,Write", 'write,"Write'), at("jobs", 2, None, None, "quotes around whole cells")),
    refused_file("a quote that is never closed in the first row", swap("jobs.csv", "read,Read", '"read,Read'), at("jobs", 1, None, None, "quotes around whole cells")),
    refused_file("a quote within a cell", swap("jobs.csv", "Write", '5" disk'), at("jobs", 2, None, None, "and doubled within them")),
    refused_file("a quote closed within a cell", swap("jobs.csv", "Write", '"5" disk'), at("jobs", 2, None, None, "and doubled within them")),
    refused_file("a quote behind a space", swap("jobs.csv", "Write", ' "Write"'), at("jobs", 2, None, None, "quotes around whole cells")),
    refused_file("a space behind a quote", swap("jobs.csv", "Write", '"Write" '), at("jobs", 2, None, None, "quotes around whole cells")),
    refused_file("quotes that merge two rows", bytes_of("jobs.csv", lambda d: d.replace(b"Read", b'"Read').replace(b"Write", b'Write"')),
                 *[at("occurrences", row, "job_id", "write", "the job_id of a row in jobs or video_streaming_jobs") for row in (4, 5, 6)]),
    refused_file("a header with an open quote", swap("jobs.csv", "job_id", '"job_id'), at("jobs", None, None, None, "a header line with the names of the columns")),
    refused_file("the header again among the rows", bytes_of("services.csv", lambda d: d + d.split(b"\n")[0] + b"\n"),
                 at("services", 2, "base_ram_consumption", "base_ram_consumption", "a number in GB_ram"),
                 at("services", 2, "base_compute_consumption", "base_compute_consumption", "a number in compute_unit"),
                 at("services", 2, "server_id", "server_id", "the server_id of a row in servers")),
    refused_file("a line of remarks above the header", bytes_of("services.csv", lambda d: b"# made by hand\n" + d), at("services", None, None, "# made by hand", "a header line with columns of services: service_id, name")),
    refused_file("rows without a header", bytes_of("services.csv", lambda d: d.split(b"\n", 1)[1]), at("services", None, None, "api, API, web, 2, 1", "a header line with columns of services: service_id, name")),
    refused_file("HTML for a table", content("jobs.csv", "<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"), at("jobs", None, None, "<!DOCTYPE html>", "a header line with columns of jobs")),
    refused_file("JSON for a table", content("jobs.csv", '[{"job_id": "read"}]\n'), at("jobs", None, None, '[{"job_id": "read"}]', "a header line with columns of jobs")),
    refused_file("a CSV that is Parquet", content("jobs.csv", b"PAR1\x15\x04\x15\x00"), at("jobs", None, None, None, "a CSV file, not Parquet (it should be named .parquet)")),
    refused_file("a CSV that is a workbook", content("jobs.csv", b"PK\x03\x04\x14\x00"), at("jobs", None, None, None, "save the sheet as CSV UTF-8")),
    refused_file("a CSV that is compressed", bytes_of("jobs.csv", gzip.compress), at("jobs", None, None, None, "not a compressed file (unpack it)")),
    refused_file("a CSV of random bytes", content("jobs.csv", b'"' + bytes(range(14, 256)) * 40), at("jobs", None, None, None, "a header line with the names of the columns")),
    refused_file("a database for a table", database, at("jobs", None, None, None, "not a database (export the table as CSV)")),
    refused_file("a header of one megabyte", content("jobs.csv", "x" * (1 << 20) + "\n"), at("jobs", None, None, None, "a header line with the names of the columns")),
    refused_file("problems in every table at once", [swap("servers.csv", "300", "-300"), swap("jobs.csv", ",60,", ",sixty,"), swap("occurrences.csv", "T01:", "T01:30:"), swap("services.csv", "web", "wob")],
                 at("servers", 1, "power", "-300", "at least 0 W"), at("jobs", 1, "request_duration", "sixty", "a number in s"),
                 at("occurrences", 2, "hour", "2026-01-01T01:30:00:00Z", "a full hour, as in"), at("services", 1, "server_id", "wob", "the server_id of a row")),
    refused_file("problems of cells and of the whole at once", [swap("occurrences.csv", ",60\n", ",many\n"), swap("services.csv", "API,web,2", "API,web,200")],
                 at("occurrences", 1, "occurrences", "many", "a number in occurrence"), at("servers", 1, "ram", "128", "more than the 200.3 GB_ram that server web and its services hold")),
    refused_file("a column given twice does not stop the rest", [swap("jobs.csv", "name", "ram_needed"), swap("servers.csv", "300", "-300")],
                 at("jobs", None, "ram_needed", None, "each column once"), at("servers", 1, "power", "-300", "at least 0 W")),
]  # fmt: skip

BIG = [
    refused_file("problems in every table of a full model", [swap("networks.csv", "0.05", "x"), swap("devices.csv", "156", ""), swap("storages.csv", "disk", "disc"), swap("countries.csv", "Asia", "Azia")],
                 at("networks", 1, "bandwidth_energy_intensity", "x", "a number in kWh/GB"), at("devices", 1, "carbon_footprint_fabrication", None, "a value"),
                 at("servers", 1, "storage_id", "disk", "the storage_id of a row in storages"), at("countries", 2, "timezone", "Azia/Kolkata", "did you mean Asia/Kolkata?"), base=full),
]  # fmt: skip

CASES: list[Case] = [*NAMES, *FOLDERS, *NO_PLAIN_FILES, *ENCODINGS, *SHAPES, *BIG]
