// Replaced by the script of the pages.
