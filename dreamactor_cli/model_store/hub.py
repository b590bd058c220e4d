"""Files of a repository on the Hugging Face hub, or on a mirror that ``HF_ENDPOINT`` names. The only file that goes online."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dreamactor_cli.errors import JobFailed, MissingRequirement, UsageError
from dreamactor_cli.model_store.pull import SourceFile


class HubSource:
    """See `pull.Source`.

    Args:
        repo: ``OWNER/NAME``.
        revision: branch, tag or commit; the attribute is the commit that it stood for.
        bars: show the client's own bars while a file comes.

    Raises:
        UsageError: there is no such repository or revision.
        JobFailed: the hub cannot be reached, or refuses.
    """

    def __init__(self, repo: str, revision: str, *, bars: bool = False) -> None:
        with _errors(repo):
            from huggingface_hub import HfApi
            from huggingface_hub.utils import logging as client_logging
            from huggingface_hub.utils.tqdm import disable_progress_bars

            client_logging.set_verbosity_error()
            if not bars:
                disable_progress_bars()
            info = HfApi().model_info(repo, revision=revision, files_metadata=True)
        self.label, self.revision = repo, str(info.sha)
        self._files = [
            SourceFile(
                name=one.rfilename, size=one.size or 0, sha256=one.lfs.sha256 if one.lfs else "",
                git_sha1="" if one.lfs else one.blob_id or "",
            )
            for one in info.siblings or ()
        ]  # fmt: skip

    def files(self) -> Sequence[SourceFile]:
        """See `pull.Source`."""
        return self._files

    def fetch(self, file: SourceFile, folder: Path) -> None:
        """See `pull.Source`; a file that was begun goes on where it stopped."""
        with _errors(self.label):
            from huggingface_hub import hf_hub_download

            hf_hub_download(self.label, file.name, revision=self.revision, local_dir=folder)


@contextmanager
def _errors(repo: str) -> Iterator[None]:
    """Turn what the hub's client raises into ours."""
    try:
        from huggingface_hub import errors
    except ImportError as error:
        raise MissingRequirement("pulling needs the package huggingface_hub", "pip install '.[diffusion]'") from error
    again = "run the same command again: only what is missing is fetched; or copy the files and use --from FOLDER"
    try:
        yield
    except errors.GatedRepoError as error:
        raise UsageError(f"{repo} wants you to agree to its terms", "do so on its page, and set HF_TOKEN") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        raise UsageError(f"there is no {repo} of this revision on the hub", "check --repo and --revision") from error
    except errors.OfflineModeIsEnabled as error:
        raise UsageError("HF_HUB_OFFLINE forbids going online", "unset it, or use --from FOLDER") from error
    except errors.HfHubHTTPError as error:
        raise JobFailed(f"the hub refused {repo}: {_said(error)}", again) from error
    except OSError as error:
        if error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
            raise  # the disk's trouble, not the net's
        raise JobFailed(f"the hub cannot be reached for {repo}: {_said(error)}", again) from error
    except Exception as error:  # the client's transport has errors of its own, of no common kind with ours
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "httpcore", "httpcore2", "hf_xet"):
            raise
        raise JobFailed(f"the hub cannot be reached for {repo}: {_said(error)}", again) from error


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
