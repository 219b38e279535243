using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;

namespace Godwit.Storage.Repair;

/// <summary>What a repair of an image will do, worked out on a draft of it: nothing has been written yet.</summary>
/// <remarks>Valid as long as the image stays open and nobody writes it. One thread at a time.</remarks>
public sealed class RepairPlan
{
    private const int Chunk = 1 << 20;
    private readonly DraftFile _draft;
    private readonly IStorageFile _image;
    private readonly RangeSet _changes;

    internal RepairPlan(IStorageFile image, DraftFile draft, RangeSet changes, ImageFormat format)
    {
        _image = image;
        _draft = draft;
        _changes = changes;
        Format = format;
    }

    /// <summary>The family that was repaired: VHDX dynamic or VHD dynamic, whatever kind the image is.</summary>
    public ImageFormat Format { get; }

    /// <summary>What a check finds before.</summary>
    public required CheckReport Before { get; init; }

    /// <summary>Every problem and what is done about it.</summary>
    public required IReadOnlyList<RepairStep> Steps { get; init; }

    /// <summary>What a check will find afterwards.</summary>
    public required CheckReport After { get; init; }

    /// <summary>Something would be written.</summary>
    public bool ChangesFile => _changes.All.Count > 0 || _draft.Length != _image.Length;

    /// <summary>A step was left out because it gives something up.</summary>
    public bool NeedsLossy => Steps.Any(static step => step.Outcome == RepairOutcome.NeedsLossy);

    /// <summary>Bytes of the file that will have other content, and bytes that will be cut off.</summary>
    public long ChangedBytes => _changes.All.Sum(static range => range.Length) + Math.Max(0, _image.Length - _draft.Length);

    /// <summary>The file as it will be, byte for byte; valid as long as the image is open, which stays its owner's.</summary>
    public BlockDevice ToDevice() => WholeFile.Over(_draft);

    /// <summary>Repairs a file in place.</summary>
    /// <param name="target">The image, open for writing.</param>
    /// <param name="undo">An empty file, or the undo file of a repair of this image that was interrupted and put back.</param>
    /// <param name="made">Called once the undo file is whole and before the image is changed: makes its name survive a power cut.</param>
    /// <param name="progress">Told now and then.</param>
    /// <param name="cancellationToken">Gives up, only while the undo file is written: the image is as before then.</param>
    /// <exception cref="StorageException">A file failed, or there is no room for the undo file. Before the first change of the image it
    /// is as it was; afterwards <see cref="ImageRestore"/> puts it back.</exception>
    internal async ValueTask ApplyAsync(
        IStorageFile target, UndoJournal undo, Action made, Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        var recording = new UndoRecordingFile(target, undo);
        var ranges = new RangeSet();
        foreach (var range in _changes.All)
            ranges.Add(range.Start, range.Length);
        ranges.Add(_draft.Length, target.Length - _draft.Length);
        await recording.PrepareAsync(
            ranges.All, (done, total) => progress(new OperationProgress("Saving undo", done, total)), cancellationToken).ConfigureAwait(false);
        made();

        // From here on to the end: whatever is left half done must be put back or done again.
        var writes = new DraftWrite(_draft, recording, Chunk, progress);
        await writes.RunAsync(_changes).ConfigureAwait(false);
        await recording.CompleteAsync().ConfigureAwait(false);
    }
}
