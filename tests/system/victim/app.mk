# Uses every device a little, shows how it is in a page of its own, and lets itself be attacked.
