"""The student's own copy of the course, and the teacher's: hand out, collect, mark, give back."""
