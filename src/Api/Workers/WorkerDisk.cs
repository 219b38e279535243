using Godwit.Api.Disks;

namespace Godwit.Api.Workers;

/// <summary>A disk the worker is to serve.</summary>
/// <param name="Name">Name of the export.</param>
/// <param name="Path">The image file.</param>
/// <param name="Format">Its layout, or null to detect it.</param>
/// <param name="ReadOnly">Serve it for reading only.</param>
/// <param name="Cache">Its cache mode; null for writeback.</param>
public sealed record WorkerDisk(string Name, string Path, DiskFormat? Format = null, bool ReadOnly = false, DiskCache? Cache = null);
