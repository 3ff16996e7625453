"""One module a page: `page(session, asked)` reads the store and gives a frozen value; templates and `.json` show it."""
