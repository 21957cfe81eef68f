"""The teacher's tools: run lessons, make exercises, release them. Only its command imports it."""
