using System.CommandLine;
using Godwit.Cli.Text;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk copy</summary>
internal sealed class DiskFileCopy
{
    private readonly Argument<string> _source = DiskCommands.PathArgument("SOURCE", "The file to read");
    private readonly Argument<string> _target = DiskCommands.PathArgument("TARGET", "The file to make; must not exist");
    private readonly Option<bool> _noVerify = new("--no-verify") { Description = "Do not read both files again to compare their hashes" };
    private readonly Option<bool> _restart = new("--restart") { Description = "Begin anew where an unfinished TARGET.partial is" };

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var copy = new DiskFileCopy();
        var verb = new Verb(
            "copy", "Copies an image file byte for byte; holes stay holes, and the copy is read back",
            "godwit disk copy data.vhdx /mnt/backup/data.vhdx")
        {
            copy._source, copy._target, copy._noVerify, copy._restart,
        };
        verb.AddJson("Write path, length, allocatedBytes and hash as JSON");
        verb.Does(shell, global, copy.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var source = session.Shell.AbsolutePath(session.Get(_source));
        var target = session.Shell.AbsolutePath(session.Get(_target));
        await using var from = WholeFile.Open(source, readOnly: true);
        await SayParentAsync(session, source, cancellationToken);
        var plan = new CopyPlan { Operation = "copy", Sources = [FileIdentity.Read(source)], Size = from.Length };
        var making = new FileMaking(
            session, plan, (path, token) => WholeFile.CreateAsync(path, plan.Size, token),
            (path, readOnly, _) => new ValueTask<BlockDevice>(WholeFile.Open(path, readOnly, bypassCache: true)));
        var hash = await making.RunAsync(from, target, session.Get(_restart), !session.Get(_noVerify), cancellationToken);
        var text = hash is null ? null : Convert.ToHexStringLower(hash);
        long allocated;
        await using (var made = LocalFile.Open(target, readOnly: true))
            allocated = made.AllocatedBytes;
        if (!session.TryWriteJson(new DiskCopyReport(target, from.Length, allocated, text), JsonText.Own.DiskCopyReport))
        {
            var verified = text is null ? "not verified" : $"verified: {text}";
            session.Talk.Say($"copied to {target} ({ByteSize.Format(from.Length)}, {ByteSize.Format(allocated)} on disk), {verified}");
        }

        return ExitCode.Ok;
    }

    // A damaged file may be copied too: what cannot be told is not said.
    private static async Task SayParentAsync(Session session, string path, CancellationToken cancellationToken)
    {
        try
        {
            if ((await DiskImage.DescribeAsync(path, cancellationToken)).Parent is not null)
                session.Talk.Say($"{path} needs its parent: only this one file is copied, not the chain below it");
        }
        catch (StorageException)
        {
            // Not an image, or none that can be opened.
        }
    }
}
