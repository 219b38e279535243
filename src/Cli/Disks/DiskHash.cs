using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Godwit.Storage.Operations;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk hash</summary>
internal static class DiskHash
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var path = DiskCommands.PathArgument();
        var format = DiskCommands.ExpectedFormatOption();
        var chain = new ChainArguments();
        var verb = new Verb(
            "hash", "Computes a hash of what a disk holds, the same in every format", "godwit disk hash data.vhdx") { path, format };
        chain.AddTo(verb);
        verb.AddJson("Write path, algorithm, hash and size as JSON");
        verb.Does(shell, global, (session, cancellationToken) => RunAsync(
            session, session.Shell.AbsolutePath(session.Get(path)), session.Get(format), chain, cancellationToken));
        return verb;
    }

    private static async Task<int> RunAsync(
        Session session, string path, DiskFormat? format, ChainArguments chain, CancellationToken cancellationToken)
    {
        await using var device = await chain.OpenAsync(session, path, format, readOnly: true, cancellationToken);
        var hash = await ContentHash.ComputeAsync(device, new DataProgress(session, "Hashing").Show, cancellationToken);
        session.Talk.EndProgress();
        var report = new DiskHashReport(path, ContentHash.Algorithm, Convert.ToHexStringLower(hash), device.Length);
        if (!session.TryWriteJson(report, JsonText.Own.DiskHashReport))
            await session.Shell.Out.WriteLineAsync($"{report.Hash}  {path}");
        return ExitCode.Ok;
    }
}
