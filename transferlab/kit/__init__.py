"""The teacher's tools: run lessons, generate exercises, pack bundles. Nothing else imports them."""
