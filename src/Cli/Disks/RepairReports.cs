using Godwit.Storage.Formats;
using Godwit.Storage.Repair;

namespace Godwit.Cli.Disks;

/// <summary>What <c>disk repair</c> found and did, or would do.</summary>
/// <param name="Path">The image, absolute.</param>
/// <param name="Repaired">Something was written.</param>
/// <param name="Sound">No errors afterwards, or, when nothing was written, no errors there would be.</param>
/// <param name="ChangedBytes">Bytes of the file that have other content, or are cut off.</param>
/// <param name="Steps">Every problem and what is done about it.</param>
/// <param name="Remaining">What a check finds afterwards.</param>
internal sealed record DiskRepairReport(
    string Path, bool Repaired, bool Sound, long ChangedBytes, IReadOnlyList<RepairStep> Steps, IReadOnlyList<CheckFinding> Remaining)
{
    /// <summary>The repaired copy.</summary>
    public string? Copy { get; init; }

    /// <summary>The undo file of a repair in place.</summary>
    public string? Undo { get; init; }
}

/// <summary>What <c>disk repair --restore</c> did.</summary>
/// <param name="Path">The image, absolute, as it was before the repair.</param>
/// <param name="Undo">The undo file, which is not needed any more.</param>
internal sealed record DiskRestoreReport(string Path, string Undo);
