"""What a notebook gets: magics, rich results, JupyterLab's side panel."""
