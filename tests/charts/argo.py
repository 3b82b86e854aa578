"""Lua as Argo CD runs it: the scripts of manifests/argocd, under its restrictions."""

from __future__ import annotations

from typing import Any

from lupa import lua51

ALLOWED = {
    *("assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget"),
    *("rawset", "require", "select", "setmetatable", "table", "tonumber", "tostring", "type"),
    *("unpack", "xpcall"),
}
"""Globals that Argo CD gives: the base library, table, and require for a safe `os`."""


def lua(text: str, obj: dict[str, Any]) -> Any:
    """What a script returns for an object, as plain values. Raises LuaError, as Argo CD would."""
    runtime = lua51.LuaRuntime(unpack_returned_tuples=True)
    safe = "local os = {time = os.time, date = os.date}; require = function(name) return os end"
    runtime.execute(safe)
    names = list(runtime.globals())
    for name in names:
        if name not in ALLOWED:
            runtime.globals()[name] = None
    runtime.globals().obj = runtime.table_from(obj, recursive=True)
    return plain(runtime.execute(text))


def plain(value: Any) -> Any:
    if lua51.lua_type(value) == "table":
        return {key: plain(item) for key, item in value.items()}
    return value
