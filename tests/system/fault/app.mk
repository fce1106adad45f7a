# Does, as its argument says, what no program should: how a domain dies and what it says then.
