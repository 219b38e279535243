namespace Godwit.Api.Workers;

/// <summary>
/// Where the parents of differencing disks may be and which ports disks on other hosts have, written by the host as <c>folders.json</c> into the VM's folder each time before it
/// starts the supervisor. A file of its own, because <c>worker.json</c> is the worker's once it has run.
/// </summary>
/// <param name="Roots">Folders, without symbolic links; empty means everywhere.</param>
/// <param name="Except">Folders that are out of bounds in any case.</param>
/// <param name="LinkPorts">TCP ports the worker may connect to, to mirror a disk to another host; null or none: it connects to nobody.</param>
public sealed record ParentFolders(IReadOnlyList<string> Roots, IReadOnlyList<string> Except, IReadOnlyList<int>? LinkPorts = null);
