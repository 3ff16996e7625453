"""Labels: what people say of outputs, from a page or a sheet, and how far they agree with each other and with judges."""
