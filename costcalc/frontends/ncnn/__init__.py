"""ncnn's ``.param`` files → graphs: ``read`` takes the text apart, ``rules`` say what each layer is."""
