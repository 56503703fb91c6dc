"""What `import invspec` offers in Python: runs, results as data frames, attacks and measures."""
