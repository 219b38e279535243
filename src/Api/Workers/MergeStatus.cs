namespace Godwit.Api.Workers;

/// <summary>The merge of one layer of a disk, as it stands now.</summary>
/// <param name="JobId">The job that asked for it.</param>
/// <param name="State">Where it stands.</param>
/// <param name="Path">The layer that is merged.</param>
/// <param name="Target">Its parent, which takes it in.</param>
/// <param name="BytesDone">Bytes of data that are in the target by now.</param>
/// <param name="BytesTotal">Bytes of data the layer holds; 0 until they are counted.</param>
/// <param name="Problem">Why it failed, or what it is waiting out.</param>
public sealed record MergeStatus(Guid JobId, MergeState State, string Path, string Target, long BytesDone, long BytesTotal, Problem? Problem);
