"""Fetch a model repository from the hub: only the files a conversion reads, at one commit."""

from collections.abc import Callable, Collection
from pathlib import Path

from edge_embed.errors import EdgeEmbedError, ModelNotFoundError
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

    Without a network the copy in the hub client's cache is used, with a line on stderr.

    Args:
        repository: ``owner/name``.
        revision: a branch, tag or commit; None for the default branch.
        select: chooses the files to fetch, given the repository's listing and a folder with its
            JSON files, which are fetched first.
        inspect: raises if the model in that folder cannot be converted, before weights are fetched.

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
    except EdgeEmbedError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        # As huggingface_hub ends where a mirror does not answer as the hub does.
        raise ModelNotFoundError(
            f"{repository} is no folder and no installed package, and {constants.ENDPOINT} does "
            "not answer as a hub: check HF_ENDPOINT"
        ) from error
    return Path(folder), commit


def _cached(repository: str, revision: str | None, *, reason: str) -> tuple[Path, str]:
    """Return folder and commit of the cached copy; raise with ``reason`` if there is none."""
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
