namespace Godwit.Storage.Operations;

/// <summary>How far an operation on disks is.</summary>
/// <param name="Phase">What it is doing, in a word.</param>
/// <param name="BytesDone">Bytes done of this phase.</param>
/// <param name="BytesTotal">Bytes this phase has to do; zero when there are none.</param>
public readonly record struct OperationProgress(string Phase, long BytesDone, long BytesTotal);
