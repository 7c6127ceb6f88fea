"""The sandbox's fixed credentials: they open nothing but the sandbox itself."""

OPENAI_ADMIN_KEY = "sk-admin-sandbox"
OPENAI_SESSION_KEY = "sess-sandbox"  # for the old endpoints
ANTHROPIC_ADMIN_KEY = "sk-ant-admin-sandbox"
ANTHROPIC_ANALYTICS_KEY = "sk-ant-analytics-sandbox"  # with the scope read:analytics
ANTHROPIC_PARENT_KEY = "sk-ant-parent-sandbox"  # the same, of the parent organization: its reports name the children
CHATGPT_ANALYTICS_KEY = "chatgpt-sandbox-key"
CHATGPT_WORKSPACE_ID = "ws-sandbox"
LITELLM_MASTER_KEY = "sk-litellm-sandbox"  # of a proxy that the company runs itself
OPENROUTER_MANAGEMENT_KEY = "sk-or-sandbox-management"
CURSOR_API_KEY = "key_cursor-sandbox"
COPILOT_TOKEN = "github-copilot-sandbox-token"  # noqa: S105 - accepted by the sandbox only
COPILOT_ORGANIZATION = "acme-robotics"
COPILOT_ENTERPRISE = "acme"
COPILOT_SIGNATURE = "sandbox-signature"  # whoever has a link that is signed with it can read the report
PORT_CLIENT_ID = "sandbox-client-id"
PORT_CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105 - accepted by the sandbox only


def variables(address: str) -> dict[str, str]:
    """Return the environment of a user whose accounts are the sandbox's at this address."""
    return {
        "OPENAI_ADMIN_KEY": OPENAI_ADMIN_KEY,
        "OPENAI_BASE_URL": f"{address}/openai/v1",
        "ANTHROPIC_ADMIN_KEY": ANTHROPIC_ADMIN_KEY,
        "ANTHROPIC_BASE_URL": f"{address}/anthropic",
        "CHATGPT_ANALYTICS_KEY": CHATGPT_ANALYTICS_KEY,
        "CHATGPT_WORKSPACE_ID": CHATGPT_WORKSPACE_ID,
        "CHATGPT_BASE_URL": f"{address}/chatgpt",
        "PORT_CLIENT_ID": PORT_CLIENT_ID,
        "PORT_CLIENT_SECRET": PORT_CLIENT_SECRET,
        "PORT_BASE_URL": f"{address}/port",
    }


def dotenv(address: str) -> str:
    """Return the same as a ``.env``."""
    return "\n".join(f"{name}={value}" for name, value in variables(address).items())


def is_one_of(given: str | None, credential: str) -> bool:
    """Whether it is the credential or another one of the same company, such as ``sk-admin-sandbox-2``.

    An organization may have several admin keys. ``ws-sandbox-2`` is another workspace with the same usage.
    """
    return given is not None and (given == credential or given.startswith(f"{credential}-"))
