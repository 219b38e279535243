namespace Godwit.Api.Workers;

/// <summary>What holds a worker, should a guest's image take it over.</summary>
/// <param name="FoldersLimited">It reaches only its own folders and those the host allows for disks.</param>
/// <param name="LandlockVersion">The version of landlock in force, 0 for none.</param>
/// <param name="CallsLimited">It can make only the system calls it needs.</param>
/// <param name="Gaps">What is missing, and why; empty when nothing is.</param>
public sealed record WorkerSandbox(bool FoldersLimited, int LandlockVersion, bool CallsLimited, IReadOnlyList<string> Gaps);
