"""Reports: from recorded numbers to tables, plots and pages."""
