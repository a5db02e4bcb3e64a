"""What the commands do: inputs, fits, forecasts and their evaluation, composed from the layers below."""
