"""A table of models: for terminals, papers, pages, spreadsheets and programs."""
