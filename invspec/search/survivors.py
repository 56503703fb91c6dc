"""Former place of `likeliest_others`."""

from invspec.search.gradients import likeliest_others as likeliest_others
