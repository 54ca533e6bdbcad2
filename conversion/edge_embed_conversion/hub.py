"""Fetch a model repository from the hub: only the files a conversion reads, at one commit."""

from collections.abc import Callable, Collection
from pathlib import Path

from edge_embed.errors import ModelNotFoundError
from edge_embed_conversion.console import say, telemetry_off

__all__ = ["download"]

TIMEOUT_SECONDS = 15.0


def download(
    repository: str,
    *,
    revision: str | None,
    select: Callable[[Collection[str], Path], list[str]],
    inspect: Callable[[Path], None],
) -> tuple[Path, str]:
    """Download the selected files of ``repository`` and return their folder and commit.

    Without a network the copy in the hub's cache is used, and said so.

    Args:
        repository: ``owner/name``.
        revision: a branch, tag or commit; None for the default branch.
        select: picks, from the listing and the folder with the settings, the files to fetch.
        inspect: raises for a folder, of which the settings are there, that cannot be used; so
            that no weights are fetched for nothing.

    Raises:
        ModelNotFoundError: no such repository or revision, no access, or no network and no cached
            copy; the message names the remedy.
    """
    telemetry_off()
    import httpx
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if constants.HF_HUB_OFFLINE:
        return _cached(repository, revision, reason="HF_HUB_OFFLINE is set")
    try:
        info = HfApi().model_info(repository, revision=revision, timeout=TIMEOUT_SECONDS)
        files = [sibling.rfilename for sibling in info.siblings or []]
        commit = info.sha or revision or "main"
        say(f"download: {repository} at {commit[:12]}")
        settings = [file for file in files if file.endswith(".json") and file.count("/") < 2]
        folder = snapshot_download(repository, revision=commit, allow_patterns=settings)
        inspect(Path(folder))
        wanted = select(files, Path(folder))
        folder = snapshot_download(repository, revision=commit, allow_patterns=wanted)
    except GatedRepoError as error:
        raise ModelNotFoundError(
            f"{repository} is gated: accept its terms on the hub, then `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelNotFoundError(
            f"{repository} is no folder, no installed package and no public hub repository; "
            "check the spelling, or `hf auth login` if it is private"
        ) from error
    except RevisionNotFoundError as error:
        raise ModelNotFoundError(f"{repository} has no revision {revision}") from error
    except HFValidationError as error:
        raise ModelNotFoundError(
            f"{repository!r} is no folder, no installed package and no valid hub id"
        ) from error
    except OfflineModeIsEnabled:
        return _cached(repository, revision, reason="HF_HUB_OFFLINE is set")
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        return _cached(repository, revision, reason=_first_line(error))
    return Path(folder), commit


def _cached(repository: str, revision: str | None, *, reason: str) -> tuple[Path, str]:
    """Return the cached copy of ``repository``, or say why there is nothing to work with."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError) as error:
        raise ModelNotFoundError(
            f"{repository} is no folder and no installed package, and the hub cannot be reached "
            f"({reason}); check the network, or give the folder of a copy"
        ) from error
    say(f"download: none ({reason}); using the cached copy at {folder.name[:12]}")
    return folder, folder.name


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
