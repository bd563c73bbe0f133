CASES=[("x","x",{})]
