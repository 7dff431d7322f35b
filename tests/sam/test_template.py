"""The template as AWS will see it: linted by SAM, and translated to CloudFormation."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import sam_project
from samtranslator.translator.transform import transform

if TYPE_CHECKING:
    from collections.abc import Iterator

PARAMETERS = {
    "Architecture": "arm64",
    "PythonVersion": "python3.13",
    "MemorySize": 1024,
    "LogRetentionDays": 14,
}
FUNCTIONS = {"ApiFunction": "Api", "StreamingFunction": "Streaming"}
LAMBDA = "arn:aws:apigateway:${AWS::Region}:lambda:path"
BUFFERED_URI = LAMBDA + "/2015-03-31/functions/${%s.Arn}/invocations"
STREAMED_URI = LAMBDA + "/2021-11-15/functions/${%s.Arn}/response-streaming-invocations"


class NoManagedPolicies:
    """The translator asks this for AWS's policies by name: the template uses none."""

    def load(self) -> dict[str, str]:
        return {}


def translate(monkeypatch: pytest.MonkeyPatch, **changes: object) -> dict[str, Any]:
    """Return the template that CloudFormation gets, with the parameters and partition put in."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    template = sam_project.read_template(sam_project.TEMPLATE)
    for resource in template["Resources"].values():
        if "CodeUri" in resource.get("Properties", {}):
            resource["Properties"]["CodeUri"] = "s3://bucket/key"  # as after sam package
    parameters = PARAMETERS | changes
    translated = transform(template, parameters, NoManagedPolicies())
    text = json.dumps(translated).replace("${AWS::Partition}", "aws")
    for name, value in parameters.items():
        text = text.replace(json.dumps({"Ref": name}), json.dumps(value))
    result: dict[str, Any] = json.loads(text)
    return result


@pytest.fixture
def resources(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found: dict[str, Any] = translate(monkeypatch)["Resources"]
    return found


def properties(resources: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in resources.items():
        if resource["Type"] == kind:
            yield name, resource["Properties"]


def test_sam_finds_nothing_to_complain_about() -> None:
    command = sam_project.sam("validate", "--lint", "--template", str(sam_project.TEMPLATE))
    done = subprocess.run(
        command, env=sam_project.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is a valid SAM Template" in done.stdout
    assert "[" not in done.stdout, "sam validate --lint has warnings"


def test_the_resources_are_these_and_no_others(resources: dict[str, Any]) -> None:
    kinds = Counter(resource["Type"] for resource in resources.values())
    assert kinds == {
        "AWS::Lambda::Function": 2,
        "AWS::IAM::Role": 2,
        "AWS::Logs::LogGroup": 2,
        "AWS::ApiGatewayV2::Api": 1,
        "AWS::ApiGatewayV2::Stage": 1,
        "AWS::ApiGateway::RestApi": 1,
        "AWS::ApiGateway::Deployment": 1,
        "AWS::ApiGateway::Stage": 1,
        "AWS::Lambda::Url": 1,
        # The HTTP API's one route, the REST API's four, and the two of a public Function URL.
        "AWS::Lambda::Permission": 7,
    }


class TestFunctions:
    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_they_are_taken_over(self, resources: dict[str, Any], name: str) -> None:
        function = resources[name]["Properties"]
        assert function["Handler"] == "penstock.adapter.runtime.handler"
        assert function["Environment"]["Variables"]["PENSTOCK_APP"] == "app:app"
        assert "Layers" not in function

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_logs_traces_and_role_are_their_own(self, resources: dict[str, Any], name: str) -> None:
        function, own = resources[name]["Properties"], FUNCTIONS[name]
        assert function["LoggingConfig"] == {
            "LogFormat": "JSON",
            "LogGroup": {"Ref": f"{own}LogGroup"},
        }
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["Role"] == {"Fn::GetAtt": [f"{own}Role", "Arn"]}

    def test_the_streaming_function_alone_streams(self, resources: dict[str, Any]) -> None:
        modes = {
            name: resources[name]["Properties"]["Environment"]["Variables"].get(
                "PENSTOCK_INVOKE_MODE"
            )
            for name in FUNCTIONS
        }
        assert modes == {"ApiFunction": None, "StreamingFunction": "response_stream"}

    @pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
    @pytest.mark.parametrize("python", ["python3.11", "python3.14"])
    def test_parameters_reach_them(
        self, monkeypatch: pytest.MonkeyPatch, architecture: str, python: str
    ) -> None:
        template = translate(
            monkeypatch, Architecture=architecture, PythonVersion=python, MemorySize=512
        )
        for name in FUNCTIONS:
            function = template["Resources"][name]["Properties"]
            assert function["Architectures"] == [architecture]
            assert function["Runtime"] == python
            assert function["MemorySize"] == 512


class TestHttpApi:
    def test_one_route_takes_everything(self, resources: dict[str, Any]) -> None:
        body = resources["HttpApi"]["Properties"]["Body"]
        (path, methods), *others = body["paths"].items()
        assert (path, others) == ("$default", [])
        integration = methods["x-amazon-apigateway-any-method"]["x-amazon-apigateway-integration"]
        assert integration["payloadFormatVersion"] == "2.0"
        assert integration["uri"] == {"Fn::Sub": BUFFERED_URI % "ApiFunction"}


class TestRestApi:
    @pytest.fixture
    def body(self, resources: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = resources["RestApi"]["Properties"]["Body"]
        return found

    def test_every_path_and_method_is_buffered(self, body: dict[str, Any]) -> None:
        for path in ("/", "/{proxy+}"):
            (method,) = body["paths"][path]
            assert method == "x-amazon-apigateway-any-method"
            integration = body["paths"][path][method]["x-amazon-apigateway-integration"]
            assert integration["type"] == "aws_proxy"
            assert integration["uri"] == {"Fn::Sub": BUFFERED_URI % "ApiFunction"}
            assert "responseTransferMode" not in integration

    def test_two_paths_are_streamed(self, body: dict[str, Any]) -> None:
        assert set(body["paths"]) == {"/", "/{proxy+}", "/chat", "/download"}
        for path in ("/chat", "/download"):
            (method,) = body["paths"][path]
            assert method == "get"
            integration = body["paths"][path][method]["x-amazon-apigateway-integration"]
            assert integration["uri"] == {"Fn::Sub": STREAMED_URI % "StreamingFunction"}
            assert integration["responseTransferMode"] == "STREAM"
            assert integration["timeoutInMillis"] == 120_000

    def test_bytes_pass(self, resources: dict[str, Any], body: dict[str, Any]) -> None:
        assert body["x-amazon-apigateway-binary-media-types"] == ["*/*"]
        assert resources["RestApi"]["Properties"]["BinaryMediaTypes"] == ["*~1*"]

    def test_its_stage_is_traced(self, resources: dict[str, Any]) -> None:
        ((_, stage),) = properties(resources, "AWS::ApiGateway::Stage")
        assert stage["StageName"] == "live"
        assert stage["TracingEnabled"] is True


class TestFunctionUrl:
    def test_it_streams(self, resources: dict[str, Any]) -> None:
        ((_, url),) = properties(resources, "AWS::Lambda::Url")
        assert url["InvokeMode"] == "RESPONSE_STREAM"
        assert url["AuthType"] == "NONE"
        assert url["TargetFunctionArn"] == {"Ref": "StreamingFunction"}

    def test_anybody_may_call_it_and_invoke_nothing_else(self, resources: dict[str, Any]) -> None:
        public = [
            permission
            for _, permission in properties(resources, "AWS::Lambda::Permission")
            if permission["Principal"] == "*"
        ]
        assert sorted(public, key=lambda permission: permission["Action"]) == [
            {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "StreamingFunction"},
                "Principal": "*",
                "InvokedViaFunctionUrl": True,
            },
            {
                "Action": "lambda:InvokeFunctionUrl",
                "FunctionName": {"Ref": "StreamingFunction"},
                "Principal": "*",
                "FunctionUrlAuthType": "NONE",
            },
        ]


class TestLeastPrivilege:
    def test_the_apis_invoke_from_their_own_routes(self, resources: dict[str, Any]) -> None:
        granted = set()
        for _, permission in properties(resources, "AWS::Lambda::Permission"):
            if permission["Principal"] == "*":
                continue
            assert permission["Principal"] == "apigateway.amazonaws.com"
            assert permission["Action"] == "lambda:InvokeFunction"
            source, values = permission["SourceArn"]["Fn::Sub"]
            prefix, _, route = source.partition("${__ApiId__}/${__Stage__}/")
            assert prefix == "arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:"
            granted.add((permission["FunctionName"]["Ref"], values["__ApiId__"]["Ref"], route))
        assert granted == {
            ("ApiFunction", "HttpApi", "*"),
            ("ApiFunction", "RestApi", "*/"),
            ("ApiFunction", "RestApi", "*/*"),
            ("StreamingFunction", "RestApi", "GET/chat"),
            ("StreamingFunction", "RestApi", "GET/download"),
        }

    @pytest.mark.parametrize("own", FUNCTIONS.values())
    def test_a_role_writes_to_one_log_group_and_sends_traces(
        self, resources: dict[str, Any], own: str
    ) -> None:
        role = resources[f"{own}Role"]["Properties"]
        (trusted,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trusted["Principal"] == {"Service": "lambda.amazonaws.com"}
        assert "ManagedPolicyArns" not in role
        (policy,) = role["Policies"]
        assert policy["PolicyDocument"]["Statement"] == [
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": {"Fn::GetAtt": [f"{own}LogGroup", "Arn"]},
            },
            {
                "Effect": "Allow",
                "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
                "Resource": "*",
            },
        ]

    def test_logs_are_kept_for_a_while_only(self, resources: dict[str, Any]) -> None:
        groups = dict(properties(resources, "AWS::Logs::LogGroup"))
        assert set(groups) == {"ApiLogGroup", "StreamingLogGroup"}
        assert [group["RetentionInDays"] for group in groups.values()] == [14, 14]
