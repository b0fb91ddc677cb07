"""`first.py CODE COMMAND FLAGS`: a command in a process that executes the code first."""

import runpy
import sys

_, code, command, *flags = sys.argv
exec(code)
sys.argv = [command, *flags]
runpy.run_module(f"keras_sagan.{command}", run_name="__main__", alter_sys=True)
