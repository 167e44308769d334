"""The constants of the formulas, each with its unit; the test of units feeds them to the formulas as quantities."""

W_PER_KW = 1000.0
"""[W/kW]"""
G_PER_KG = 1000.0
"""[g/kg]"""
MB_PER_GB = 1000.0
"""[MB/GB]"""
MB_STORED_PER_TB_STORED = 1e6
"""[MB_stored/TB_stored]"""
MB_RAM_PER_GB_RAM = 1000.0
"""[MB_ram/GB_ram]"""
BITS_PER_MB = 8e6
"""[bit/MB]"""
SECONDS_PER_HOUR = 3600.0
"""[s/h]"""
HOURS_PER_YEAR = 8766.0
"""[h/year]: 365.25 days."""
HOURS_PER_DAY = 24.0
"""[h/day]"""
