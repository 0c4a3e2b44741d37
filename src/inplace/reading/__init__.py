"""Reading: questions that several checks ask of a trace.

`source` knows what the user's code says, `trace` who made and wrote what, and where. On these stand `gradients` (which
are missed, and why), `sharing` (who else reaches the same bytes), `writes` (what is lost or refused, and what somebody
else is about to read) and `ranks` (recordings of several processes).
"""
