"""How JupyterLab gets a notebook from disk, so that it opens clean. `python -m
helpers.course.contents` switches it on in an environment, for every JupyterLab that starts in it.

- A saved widget whose model has gone with its kernel would open as "Error displaying widget". Its
  view is left out, and its other form stands in its place: a picture, or text. A kernel that still
  runs is asked which models it holds; those stay alive when the page is loaded again.
- A kernel, once started, writes its language into the notebook's metadata. It stands there from the
  beginning, so that opening a notebook does not count as a change of it.

What is on disk is not touched.
"""

import json
import sys
from pathlib import Path

from ipykernel.ipkernel import IPythonKernel
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

from helpers.course.build import WIDGET_VIEW
from helpers.files import write_atomically

SETTINGS = Path("etc", "jupyter", "jupyter_server_config.json")

ANSWER = 1  # seconds that a kernel has to answer in; one that computes does not


class Contents(AsyncLargeFileManager):
    """JupyterLab's own, but for what is said above."""

    async def get(self, path, content=True, *arguments, **options):
        model = await super().get(path, content, *arguments, **options)
        if content and model["type"] == "notebook":
            await self.open_clean(path, model["content"])
        return model

    async def open_clean(self, path: str, notebook: dict) -> None:
        """Leave out what only another kernel could show, and name this one's language."""
        if notebook["metadata"].get("kernelspec", {}).get("name") == "python3":
            notebook["metadata"]["language_info"] = dict(IPythonKernel.language_info)
        outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
        views = [output["data"] for output in outputs if WIDGET_VIEW in output.get("data", {})]
        alive = await self.models_alive(path) if views else set()
        for data in views:
            if alive is not None and data[WIDGET_VIEW]["model_id"] not in alive and len(data) > 1:
                del data[WIDGET_VIEW]

    async def models_alive(self, path: str) -> set[str] | None:
        """The ids of the widgets that the notebook's kernel holds: none where no kernel runs. None
        where it does not answer in time."""
        sessions = await self.parent.session_manager.list_sessions()
        kernels = [one["kernel"]["id"] for one in sessions if one["path"] == path.strip("/")]
        if not kernels:
            return set()
        client = self.parent.kernel_manager.get_kernel(kernels[0]).client()
        client.start_channels(shell=True, iopub=False, stdin=False, hb=False, control=False)
        try:
            reply = await client.comm_info(reply=True, timeout=ANSWER)
            return set(reply["content"]["comms"])
        except TimeoutError:
            return None
        finally:
            client.stop_channels()


def switch_on(environment: Path) -> Path:
    """Write the settings from which JupyterLab takes this class, among what else stands there;
    their file."""
    file = environment / SETTINGS
    file.parent.mkdir(parents=True, exist_ok=True)
    settings = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    name = "helpers.course.contents.Contents"
    settings.setdefault("ServerApp", {})["contents_manager_class"] = name
    write_atomically(file, f"{json.dumps(settings, indent=1)}\n".encode())
    return file


if __name__ == "__main__":
    print(f"JupyterLab opens notebooks clean: {switch_on(Path(sys.prefix))}")
