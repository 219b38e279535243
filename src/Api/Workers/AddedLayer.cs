namespace Godwit.Api.Workers;

/// <summary>An image that was put on top of a disk while it was served.</summary>
/// <param name="JobId">The job that asked for it.</param>
/// <param name="Path">The image.</param>
/// <param name="Parent">The image that had been written to until then.</param>
public sealed record AddedLayer(Guid JobId, string Path, string Parent);
