"""Files of our own: volume sequences, Gaussian windows, forecasts; all written atomically, all plain NetCDF-4."""
