"""`workbench mcp` as a program, for tests that start it as another program does."""

from workbench.mcptools.commands import mcp

if __name__ == "__main__":
    mcp(prog_name="workbench mcp")
