using Godwit.Storage.Files;

namespace Godwit.Storage.Operations;

/// <summary>A file on its way: <c>NAME.partial</c>, with a journal <c>NAME.partial.journal</c> beside it from which the same
/// operation goes on after its process was killed. Nothing half done ever bears the name itself.</summary>
/// <remarks>One thread at a time. Whoever fills the file holds it open for writing, which keeps every other process out.</remarks>
public sealed class UnfinishedFile
{
    private readonly string _target;
    private readonly CopyPlan _plan;

    private UnfinishedFile(string target, CopyPlan plan, long copiedTo)
    {
        _target = target;
        _plan = plan;
        CopiedTo = copiedTo;
    }

    /// <summary>The file to fill.</summary>
    public string Path => PathOf(_target);

    /// <summary>Everything before this offset is there already, in bytes; 0 when the file is still to be created.</summary>
    public long CopiedTo { get; private set; }

    /// <summary>Begins a file, or takes up one that a killed process left.</summary>
    /// <param name="target">The name it will get; must not exist.</param>
    /// <param name="plan">What it is made from, and how.</param>
    /// <param name="restart">Removes an unfinished one, whatever it is, unless another process writes it.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.AlreadyExists"/>: the target exists, or an unfinished one was
    /// begun by another plan, from a source that has changed since, or by something else;
    /// <see cref="StorageErrorKind.InUse"/>: another process writes it; or the folder failed.</exception>
    public static async ValueTask<UnfinishedFile> BeginAsync(string target, CopyPlan plan, bool restart)
    {
        if (System.IO.Path.Exists(target))
        {
            // Killed between the renaming and this.
            if (!System.IO.Path.Exists(PathOf(target)))
                RemoveJournal(target);
            throw new StorageException(
                StorageErrorKind.AlreadyExists, "exists already and is never overwritten", target, operation: plan.Operation);
        }

        var copiedTo = await FindBegunAsync(target, plan, restart).ConfigureAwait(false);
        var file = new UnfinishedFile(target, plan, copiedTo);
        if (copiedTo > 0)
            return file;
        LocalFolder.Remove(file.Path);
        file.NoteCopied(0);
        return file;
    }

    /// <summary>Records that everything before an offset is in the file and has been flushed.</summary>
    /// <param name="offset">Bytes; a multiple of 4096.</param>
    /// <exception cref="StorageException">The journal could not be written; the one before is still there.</exception>
    public void NoteCopied(long offset)
    {
        LocalFolder.WriteAtomically(JournalOf(_target), new CopyJournal(CopyJournal.Current, _plan, offset).ToJson());
        CopiedTo = offset;
    }

    /// <summary>Gives the file, flushed and closed, its name. Survives a power cut when this returns.</summary>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.AlreadyExists"/>: the name was taken meanwhile; or the folder failed.</exception>
    public void Complete()
    {
        LocalFolder.RenameWithoutReplacing(Path, _target);
        RemoveJournal(_target);
        LocalFolder.Sync(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(_target)) ?? "/");
    }

    /// <summary>Removes the file and its journal.</summary>
    /// <exception cref="StorageException">The folder failed.</exception>
    public void Discard()
    {
        LocalFolder.Remove(Path);
        RemoveJournal(_target);
    }

    private static string PathOf(string target) => target + ".partial";

    private static string JournalOf(string target) => target + ".partial.journal";

    /// <summary>Removes the journal, and the draft of one that a kill cut off.</summary>
    private static void RemoveJournal(string target)
    {
        LocalFolder.Remove(JournalOf(target));
        LocalFolder.Remove(LocalFolder.DraftOf(JournalOf(target)));
    }

    /// <summary>How far the unfinished file is that may be gone on with; 0 when there is none.</summary>
    private static async ValueTask<long> FindBegunAsync(string target, CopyPlan plan, bool restart)
    {
        var path = PathOf(target);
        if (!System.IO.Path.Exists(path))
            return 0;
        await RefuseInUseAsync(path).ConfigureAwait(false);
        if (restart)
            return 0;
        var journal = ReadJournal(JournalOf(target)) ?? throw Refuse(path, plan, "nothing beside it tells how it was begun");
        return plan.DifferenceTo(journal.Plan) is string difference ? throw Refuse(path, plan, difference) : journal.CopiedTo;
    }

    private static async ValueTask RefuseInUseAsync(string path)
    {
        try
        {
            await LocalFile.Open(path, readOnly: false).DisposeAsync().ConfigureAwait(false);
        }
        catch (StorageException e) when (e.Kind == StorageErrorKind.InUse)
        {
            throw new StorageException(e.Kind, "another process is writing it; wait for that one", path, inner: e);
        }
    }

    private static CopyJournal? ReadJournal(string path)
    {
        try
        {
            return CopyJournal.TryParse(File.ReadAllBytes(path));
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StorageException(StorageErrorKind.IoFailed, e.Message, path, operation: "read", inner: e);
        }
    }

    private static StorageException Refuse(string path, CopyPlan plan, string reason) => new(
        StorageErrorKind.AlreadyExists,
        $"an unfinished file is there and this command cannot go on with it: {reason}; remove it to begin anew",
        path,
        operation: plan.Operation);
}
