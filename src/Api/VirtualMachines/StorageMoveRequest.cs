namespace Godwit.Api.VirtualMachines;

/// <summary>Moves disks of a VM to another folder of the same host, running or not.</summary>
/// <param name="Destination">Folder that receives the files, an absolute path; created when missing.</param>
/// <param name="Disks">Names of the disks to move ("disk0"), or null for all.</param>
/// <param name="RetainSource">Keep the source files after success.</param>
/// <param name="BytesPerSecond">Upper limit of the copy's rate, or null for none.</param>
/// <param name="DryRun">Only check and answer with the plan; nothing is changed.</param>
public sealed record StorageMoveRequest(
    string Destination,
    IReadOnlyList<string>? Disks = null,
    bool RetainSource = false,
    long? BytesPerSecond = null,
    bool DryRun = false);
