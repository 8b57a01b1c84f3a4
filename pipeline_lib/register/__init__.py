"""The last stage: compare with the champion, register, promote or refuse, write the report."""
