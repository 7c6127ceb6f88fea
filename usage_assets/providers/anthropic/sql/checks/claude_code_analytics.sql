-- every counter of port_entities.claude_code_analytics adds up to anthropic.claude_code
-- sums: num_sessions, lines_added, lines_removed, commits, pull_requests, edit_tool_accepted, edit_tool_rejected,
--   write_tool_accepted, write_tool_rejected
from anthropic.claude_code
