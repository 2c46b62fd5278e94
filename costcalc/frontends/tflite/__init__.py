"""TFLite files → graphs: ``flat`` reads the format's tables, ``read`` a model, ``rules`` say what each operator is."""
