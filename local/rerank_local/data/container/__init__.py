"""One model's process: started from its archive, watched, asked, stopped."""
