"""The demo practice: invented people, believable courses, today's diary."""
