"""The app's tests: `HOOKMILL_BIN=… python3 -m unittest`, in integrations/frappe.

They run the app on a stand-in for Frappe (standin/), against a real hookmill process and a real receiver.
"""

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE.parent), str(_HERE / "standin")]
