namespace Godwit.Fuzz.Soak;

/// <summary>What a soak run has done so far.</summary>
internal sealed class SoakCounts
{
    public long Operations { get; set; }

    public long Lives { get; set; }

    public long Reopens { get; set; }

    public long Kills { get; set; }

    /// <summary>States after a power cut that were opened and judged.</summary>
    public long PowerCuts { get; set; }

    /// <summary>States that <c>qemu-img</c> was shown, and how many it refused or read differently.</summary>
    public long QemuChecks { get; set; }

    public long QemuRefused { get; set; }

    /// <summary>Of those it accepted, in how many it read something else than Godwit that the power cut could leave as well.</summary>
    public long QemuOtherwise { get; set; }

    /// <summary>In how many it missed what was flushed, or the size, until Godwit had opened the file; docs/design/fuzzing.md says why.</summary>
    public long QemuMissed { get; set; }

    public long SevenZipChecks { get; set; }

    public long SevenZipRefused { get; set; }

    public override string ToString() =>
        $"{Operations} operations in {Lives} lives: {Reopens} reopens, {Kills} kills, {PowerCuts} states after a power cut; "
        + $"qemu-img was shown {QemuChecks} states and refused {QemuRefused} (in {QemuOtherwise} it read other unflushed writes, in {QemuMissed} it missed flushed ones before an opening), 7-Zip {SevenZipChecks} and {SevenZipRefused}";
}

/// <summary>A disk did not hold what it had to.</summary>
internal sealed class SoakFailure(string message, Exception? cause = null) : Exception(message, cause);
