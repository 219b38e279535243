using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;

namespace Godwit.Storage.Repair;

/// <summary>Repairs damaged VHD and VHDX files that nobody uses. Works on an open image; disposing closes it.</summary>
/// <remarks>A plan is worked out on a draft in memory; only then is anything written, to a copy or in place. One thread at a time.</remarks>
public sealed class ImageRepair : IAsyncDisposable
{
    private readonly LocalFile _file;
    private readonly RepairOptions _options;

    private ImageRepair(LocalFile file, RepairOptions options)
    {
        _file = file;
        _options = options;
    }

    /// <summary>Opens an image to repair it and locks it.</summary>
    /// <param name="path">The file.</param>
    /// <param name="readOnly">For a plan, or a repair to a copy; else for one in place or for putting back.</param>
    /// <param name="options">How.</param>
    /// <exception cref="StorageException">It could not be opened: NotFound, AccessDenied, InUse.</exception>
    public static ImageRepair Open(string path, bool readOnly, RepairOptions options) => new(
        LocalFile.Open(path, readOnly),
        readOnly ? options with { NewGuid = new StableGuids(FileIdentity.Read(path)).Next } : options);

    /// <summary>Works out what to do. Writes nothing.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">Unsupported: neither VHDX nor VHD; or the file failed.</exception>
    public ValueTask<RepairPlan> PlanAsync(CancellationToken cancellationToken) => PlanAsync(_file, _options, cancellationToken);

    /// <summary>Repairs in place. The undo file is whole and flushed before the first byte of the image changes.</summary>
    /// <param name="plan">From <see cref="PlanAsync(CancellationToken)"/> of this object.</param>
    /// <param name="undoPath">The undo file: a name nobody has, or one that <see cref="PrepareAgainAsync"/> accepted.</param>
    /// <param name="progress">Told now and then.</param>
    /// <param name="cancellationToken">Gives up, only before the image is changed; a new undo file is gone then.</param>
    /// <exception cref="StorageException">AlreadyExists: the undo file belongs to a repair that was completed; NoSpace and other failures. Once the image was being
    /// changed the undo file stays, and <see cref="RestoreAsync"/> puts the image back.</exception>
    public async ValueTask ApplyAsync(RepairPlan plan, string undoPath, Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        var isNew = !File.Exists(undoPath);
        var begun = false;
        var file = isNew ? LocalFile.Create(undoPath) : LocalFile.Open(undoPath, readOnly: false);
        try
        {
            await using (file.ConfigureAwait(false))
            {
                var undo = isNew
                    ? await UndoJournal.CreateAsync(file, _file, _options.NewGuid(), cancellationToken).ConfigureAwait(false)
                    : await UndoJournal.OpenAsync(file, cancellationToken).ConfigureAwait(false);
                if (undo.State == UndoState.Applied)
                {
                    throw new StorageException(StorageErrorKind.AlreadyExists,
                        "is the undo file of a repair that was completed, and is never overwritten", undoPath, operation: "repair");
                }

                await plan.ApplyAsync(_file, undo, Begin, progress, cancellationToken).ConfigureAwait(false);
            }
        }
        catch when (isNew && !begun)
        {
            LocalFolder.Remove(undoPath);
            throw;
        }

        void Begin()
        {
            LocalFolder.Sync(Path.GetDirectoryName(Path.GetFullPath(undoPath)) ?? "/");
            begun = true;
        }
    }

    /// <summary>Looks at an undo file that is there already. One of a repair that was cut off: the image is put back as it was, and
    /// the same undo file serves the next repair. One in which nothing was written yet is removed.</summary>
    /// <returns>The image was put back.</returns>
    /// <exception cref="StorageException">AlreadyExists: it is something else.</exception>
    public async ValueTask<bool> PrepareAgainAsync(string undoPath, Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        if (!Path.Exists(undoPath))
            return false;
        var file = LocalFile.Open(undoPath, readOnly: false);
        await using (file.ConfigureAwait(false))
        {
            if (await UndoJournal.IsBlankAsync(file, cancellationToken).ConfigureAwait(false))
            {
                LocalFolder.Remove(undoPath);
                return false;
            }

            UndoJournal undo;
            try
            {
                undo = await UndoJournal.OpenAsync(file, cancellationToken).ConfigureAwait(false);
            }
            catch (StorageException other) when (other.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
            {
                throw new StorageException(StorageErrorKind.AlreadyExists, "exists already and is never overwritten", undoPath, operation: "repair", inner: other);
            }

            // That of a completed one stays: the image needs no repair then, unless it was damaged since.
            if (undo.State == UndoState.Applied)
                return false;
            await ImageRestore.RunAsync(_file, undo, evenIfChanged: false, progress, cancellationToken).ConfigureAwait(false);
            return true;
        }
    }

    /// <summary>Puts the image back byte for byte. May be cut off and repeated.</summary>
    /// <param name="undoPath">Its undo file.</param>
    /// <param name="evenIfChanged">Although the image was written since the repair.</param>
    /// <param name="progress">Told now and then.</param>
    /// <param name="cancellationToken">Gives up; to be done again then.</param>
    /// <exception cref="StorageException">InvalidRequest: the image was written since the repair; Corrupt: not an undo file; or a file failed.</exception>
    public async ValueTask RestoreAsync(string undoPath, bool evenIfChanged, Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        var file = LocalFile.Open(undoPath, readOnly: false);
        await using (file.ConfigureAwait(false))
        {
            var undo = await UndoJournal.OpenAsync(file, cancellationToken).ConfigureAwait(false);
            await ImageRestore.RunAsync(_file, undo, evenIfChanged, progress, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Checks the file as it is now.</summary>
    /// <param name="plan">What was done to it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public ValueTask<CheckReport> CheckAsync(RepairPlan plan, CancellationToken cancellationToken) =>
        LayerFormats.CheckAsync(_file, plan.Format, cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _file.DisposeAsync();

    /// <summary>Works out what to do with any file.</summary>
    internal static async ValueTask<RepairPlan> PlanAsync(IStorageFile file, RepairOptions options, CancellationToken cancellationToken)
    {
        var format = await RepairFormat.TellAsync(file, options.Format, cancellationToken).ConfigureAwait(false);
        var draft = new DraftFile(file);
        var work = new RepairWork(draft, options);
        var before = await LayerFormats.CheckAsync(file, format, cancellationToken).ConfigureAwait(false);
        try
        {
            if (format == ImageFormat.VhdxDynamic)
                await VhdxRepair.RunAsync(work, cancellationToken).ConfigureAwait(false);
            else
                await VhdRepairs.RunAsync(work, cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException e) when (e.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
        {
            work.Abandon(e.Offset, e.Reason, "nothing was changed because of it; take the image from a backup");
        }

        var changes = await draft.ChangesAsync(cancellationToken).ConfigureAwait(false);
        return new RepairPlan(file, draft, changes, format)
        {
            Before = before,
            Steps = work.Steps,
            After = await LayerFormats.CheckAsync(draft, format, cancellationToken).ConfigureAwait(false),
        };
    }
}
