using Godwit.Cli.Text;
using Godwit.Storage;
using Godwit.Storage.Operations;

namespace Godwit.Cli.Disks;

/// <summary>Makes a file by copying a device into it: under another name until it is whole, gone on with after a kill, removed after
/// ^C and every failure.</summary>
/// <param name="session">The command.</param>
/// <param name="plan">What is made from what.</param>
/// <param name="create">Makes the empty file of a path.</param>
/// <param name="open">Opens the file of a path, for reading only or not.</param>
internal sealed class FileMaking(
    Session session,
    CopyPlan plan,
    Func<string, CancellationToken, ValueTask> create,
    Func<string, bool, CancellationToken, ValueTask<BlockDevice>> open)
{
    /// <summary>Makes the file.</summary>
    /// <param name="source">What it is to hold.</param>
    /// <param name="target">Its name; must not exist.</param>
    /// <param name="restart">Does not go on with an unfinished one.</param>
    /// <param name="verify">Hashes both afterwards.</param>
    /// <param name="cancellationToken">Gives up and removes what was written.</param>
    /// <returns>The hash of both, when asked for.</returns>
    public async Task<byte[]?> RunAsync(
        BlockDevice source, string target, bool restart, bool verify, CancellationToken cancellationToken)
    {
        return await RunAsync(
            session, plan, target, restart,
            async file =>
            {
                await FillAsync(source, file, cancellationToken);
                return verify ? await VerifyAsync(source, file.Path, cancellationToken) : null;
            });
    }

    /// <summary>Makes a file in any way: it gets its name when it is whole, and goes when that fails.</summary>
    /// <param name="session">The command.</param>
    /// <param name="plan">What is made from what.</param>
    /// <param name="target">Its name; must not exist.</param>
    /// <param name="restart">Does not go on with an unfinished one.</param>
    /// <param name="fill">Fills the unfinished file, flushed and closed at the end.</param>
    /// <returns>What <paramref name="fill"/> answers.</returns>
    public static async Task<T> RunAsync<T>(Session session, CopyPlan plan, string target, bool restart, Func<UnfinishedFile, Task<T>> fill)
    {
        var file = await UnfinishedFile.BeginAsync(target, plan, restart);
        T result;
        try
        {
            result = await fill(file);
            file.Complete();
        }
        catch (Exception e) when (e is not StorageException { Kind: StorageErrorKind.InUse })
        {
            session.Talk.EndProgress();
            file.Discard();
            session.AfterCancel = "nothing of the new file is left";
            throw;
        }

        session.Talk.EndProgress();
        return result;
    }

    /// <summary>Hashes what was read and what was made of it.</summary>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.IoFailed"/>: they differ.</exception>
    public static async Task<byte[]> HashBothAsync(
        Session session, BlockDevice source, BlockDevice made, string operation, CancellationToken cancellationToken)
    {
        var expected = await ContentHash.ComputeAsync(source, new DataProgress(session, "Hashing source").Show, cancellationToken);
        var found = await ContentHash.ComputeAsync(made, new DataProgress(session, "Hashing target").Show, cancellationToken);
        return found.AsSpan().SequenceEqual(expected) ? found : throw new StorageException(
            StorageErrorKind.IoFailed,
            $"what was written does not read back: hash {Convert.ToHexStringLower(found)} instead of {Convert.ToHexStringLower(expected)}; "
            + "the new file was removed",
            made.Path,
            operation: operation);
    }

    private async Task FillAsync(BlockDevice source, UnfinishedFile file, CancellationToken cancellationToken)
    {
        if (file.CopiedTo == 0)
            await CreateAsync(file.Path, cancellationToken);
        else
            session.Talk.Say($"going on with {file.Path} at {ByteSize.Format(file.CopiedTo)}");
        await using var to = await open(file.Path, false, cancellationToken);
        var options = new CopyOptions
        {
            From = file.CopiedTo,
            OnProgress = new DataProgress(session, "Copying").Show,
            OnStable = file.NoteCopied,
            Time = session.Shell.Time,
        };
        await new DiskCopy(source, to, options).RunAsync(cancellationToken);
    }

    private async Task CreateAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            await create(path, cancellationToken);
        }
        catch (StorageException e) when (e.Kind == StorageErrorKind.AlreadyExists)
        {
            // It was not there a moment ago, so it is not ours to remove.
            throw new StorageException(StorageErrorKind.InUse, "another process has just begun it", path, inner: e);
        }
    }

    private async Task<byte[]> VerifyAsync(BlockDevice source, string path, CancellationToken cancellationToken)
    {
        await using var made = await open(path, true, cancellationToken);
        return await HashBothAsync(session, source, made, plan.Operation, cancellationToken);
    }
}
