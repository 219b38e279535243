using Godwit.Storage.Chains;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Writes a new, empty image into an empty file.</summary>
/// <remarks>The footer comes last, behind a flush: a file whose creation was cut off is not mistaken for an image.</remarks>
internal sealed class VhdImageWriter
{
    private const long TableOffset = VhdFormat.FooterLength + VhdFormat.HeaderLength;
    private readonly IStorageFile _file;
    private readonly VhdCreateOptions _options;
    private readonly VhdBlocks _blocks;

    public VhdImageWriter(IStorageFile file, VhdCreateOptions options)
    {
        _file = file;
        _options = options;
        Validate();
        _blocks = new VhdBlocks(options.Size, options.BlockSize);
    }

    public async ValueTask WriteAsync(CancellationToken cancellationToken)
    {
        var kind = _options.Fixed ? VhdKind.Fixed : _options.Parent is null ? VhdKind.Dynamic : VhdKind.Differencing;
        var stamp = VhdFooter.ToStamp(_options.Time.GetUtcNow());
        var footer = VhdFooter.Create(kind, _options.Size, _options.DiskId ?? _options.NewGuid(), stamp).ToBytes();
        var end = _options.Fixed
            ? await ReserveAsync(cancellationToken).ConfigureAwait(false)
            : await WriteSparseAsync(cancellationToken).ConfigureAwait(false);
        await _file.FlushAsync(cancellationToken).ConfigureAwait(false);
        await _file.WriteAsync(end, footer, cancellationToken).ConfigureAwait(false);
        if (!_options.Fixed)
            await _file.WriteAsync(0, footer, cancellationToken).ConfigureAwait(false);
        await _file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private void Validate()
    {
        if (_file.Length != 0)
            throw Refuse($"the file is not empty: it has {_file.Length} bytes");
        if (_options.Size is <= 0 or > VhdFormat.MaxDiskSize || _options.Size % VhdFormat.Sector != 0)
            throw Refuse($"the size {_options.Size} is not whole 512-byte sectors up to 2040 GiB");
        if (!VhdFormat.IsPowerOfTwo(_options.BlockSize) || _options.BlockSize is < 512 << 10 or > VhdFormat.MaxBlockSize)
            throw Refuse($"the block size {_options.BlockSize} is not a power of two from 512 KiB to 256 MiB");
        if (_options is { Fixed: true, Parent: not null })
            throw Refuse("a disk with a parent cannot be fixed");
    }

    private StorageException Refuse(string reason) => new(StorageErrorKind.InvalidRequest, reason, _file.Path, operation: "create");

    private async ValueTask<long> ReserveAsync(CancellationToken cancellationToken)
    {
        const long Part = 1L << 30;
        await _file.SetLengthAsync(_options.Size, cancellationToken).ConfigureAwait(false);
        for (long at = 0; at < _options.Size; at += Part)
            await _file.AllocateZeroesAsync(at, Math.Min(Part, _options.Size - at), cancellationToken).ConfigureAwait(false);
        return _options.Size;
    }

    /// <summary>Writes header, table and the parent's paths.</summary>
    /// <returns>Where the footer belongs.</returns>
    private async ValueTask<long> WriteSparseAsync(CancellationToken cancellationToken)
    {
        var end = TableOffset + VhdFormat.AlignUp(_blocks.Count * sizeof(uint), VhdFormat.Sector);
        var header = VhdDynamicHeader.Create(TableOffset, _blocks.Count, _options.BlockSize);
        if (_options.Parent is ParentLink parent)
        {
            var paths = new VhdParentPaths(_file.Path, parent, VhdParentPaths.NameOf(parent), [], end);
            header = paths.ApplyTo(header);
            end = await paths.WriteAsync(_file, cancellationToken).ConfigureAwait(false);
        }

        await _file.WriteAsync(VhdFormat.FooterLength, header.ToBytes(), cancellationToken).ConfigureAwait(false);
        await WriteTableAsync(cancellationToken).ConfigureAwait(false);
        return end;
    }

    private async ValueTask WriteTableAsync(CancellationToken cancellationToken)
    {
        var left = VhdFormat.AlignUp(_blocks.Count * sizeof(uint), VhdFormat.Sector);
        var part = new byte[Math.Min(left, 64 << 10)];
        part.AsSpan().Fill(0xff);
        for (var at = TableOffset; left > 0; at += part.Length, left -= part.Length)
            await _file.WriteAsync(at, part.AsMemory(0, (int)Math.Min(left, part.Length)), cancellationToken).ConfigureAwait(false);
    }
}
