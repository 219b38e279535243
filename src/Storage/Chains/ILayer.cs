namespace Godwit.Storage.Chains;

/// <summary>A layer of a chain as those above it see it.</summary>
internal interface ILayer
{
    /// <summary>Bytes per block; 0 when it has no blocks.</summary>
    int BlockLength { get; }

    /// <summary>What shows where this layer has nothing; null when that is zeroes.</summary>
    ParentView? Beneath { get; }

    /// <summary>Whether a range within one block shows what is beneath, all of it.</summary>
    /// <param name="offset">First byte.</param>
    /// <param name="length">Bytes.</param>
    /// <returns>Null when that cannot be said without waiting.</returns>
    bool? HasNothing(long offset, int length);
}
