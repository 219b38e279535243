namespace Godwit.Storage.Formats;

/// <summary>A disk whose file can give the space of single ranges back, even where the format itself would keep it reserved.</summary>
internal interface IPunchableDisk
{
    /// <summary>Makes what the file holds for a range read as zeroes and gives its space back. What a parent shows through stays.</summary>
    /// <param name="offset">First byte of the disk; whole sectors.</param>
    /// <param name="length">Bytes; whole sectors.</param>
    /// <param name="cancellationToken">Gives up before a part of the range.</param>
    /// <exception cref="StorageException">The file failed.</exception>
    ValueTask PunchAsync(long offset, long length, CancellationToken cancellationToken);
}
